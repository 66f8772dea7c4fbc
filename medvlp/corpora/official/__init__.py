"""One file for each public corpus: from its official files to items."""
