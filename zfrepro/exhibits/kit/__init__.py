"""What exhibits share: cells, tables, drawing, LaTeX."""
