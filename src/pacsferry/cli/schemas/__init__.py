"""JSON Schemas of every document, shipped as files."""
