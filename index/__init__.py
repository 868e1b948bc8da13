"""A file becomes a searchable document: file → Document → Passage → vectors + full text."""
