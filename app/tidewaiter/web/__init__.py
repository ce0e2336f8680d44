"""What listens: the address that providers call back."""
