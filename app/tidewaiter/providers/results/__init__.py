"""What a finished remote job gives: links, lists, files."""
