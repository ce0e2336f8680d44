"""The container, compose, Kubernetes and systemd files fit together and fit the program."""
