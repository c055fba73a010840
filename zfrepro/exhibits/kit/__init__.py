"""What exhibits share: cells, tables, pictures, drawing, LaTeX."""
