"""The status page: how everything stands, for people with a browser; whole without JavaScript, live with it."""
