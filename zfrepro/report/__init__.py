"""The report: HTML, PDF, images, provenance."""
