"""Small servers that speak published conventions, and the product that lands their files."""
