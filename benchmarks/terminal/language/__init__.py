"""What is said to the terminal and what it says: commands, tools, questions about pictures, small talk."""
