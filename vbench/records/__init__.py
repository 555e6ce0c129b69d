"""What is stored for a trial, and where: results files are the only truth; everything else is derived from them."""
