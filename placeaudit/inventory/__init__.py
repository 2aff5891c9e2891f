"""What devices a machine has, what a process may see of them, and what frameworks make of that."""
