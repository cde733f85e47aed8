"""Tools for the people who work on Headrace; the package itself needs none of them."""
