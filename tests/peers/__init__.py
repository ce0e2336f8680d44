"""What becomes of a job in Tidewaiter and in its peers when the worker is killed at the worst moments."""
