"""Hardware in the loop: proof that a device computes what the host does, down to the stage that differs.

    pytest hil_tests --device URL --bundle X.nrv [--firmware FW] [--recording COUNTS.npy] [--report-dir DIR]

or, from a program, :func:`hil_tests.run.validate`.
"""
