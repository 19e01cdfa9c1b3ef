"""Files become feature vectors: in parallel, in order, and a bad file becomes a result as well."""
