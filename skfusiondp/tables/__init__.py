"""Tables of any kind, in memory and on disk: which columns are sensitive, their domains, and one encoding."""
