"""How a request proves who asks: credentials, logins, signatures."""
