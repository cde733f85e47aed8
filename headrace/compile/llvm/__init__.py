"""The LLVM stage: loops become machine code of this computer."""
