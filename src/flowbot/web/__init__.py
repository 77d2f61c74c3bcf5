"""What pages and endpoints of ours have in common: who may ask, how much, and a server that ends in good order."""
