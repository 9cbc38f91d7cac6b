"""What a step records, as one function of JAX: for GPUs, TPUs, several devices, and files that others run.

`table` says what NumPy's functions are called there, `lowered` runs other code on JAX's values, `emission` makes one
pure function of a recorded step, and `engine` calls that in the place of the step, with its state on the devices.
JAX is an extra: nothing here is loaded before it is asked for.
"""
