"""Files that are whole or not there: atomic writing, and arrays with a document in one file."""
