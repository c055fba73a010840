"""What draws the `scenes` data set: shapes, textures, painter, and one module for each kind of object."""
