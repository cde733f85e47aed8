"""The run stage: arrays go in, machine code runs, arrays or errors come out."""
