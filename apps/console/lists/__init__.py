"""The lists: one Python description each, feeding the first HTML, the live rows, the CSV and the palette."""
