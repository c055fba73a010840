"""Trained networks opened on a device, and the imports of torchvision that they need."""
