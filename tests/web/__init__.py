"""What listens, tested over real sockets."""
