"""What every part may use: errors, logging, worker processes, memory."""
