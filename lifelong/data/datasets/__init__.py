"""One file a data set; the file's name is its name in YAML."""
