"""placeholder until core lands"""
from cffi import FFI
ffibuilder = FFI()
ffibuilder.cdef("int nrv_dummy(void);")
ffibuilder.set_source("edge._core", "static int nrv_dummy(void){return 0;}")
