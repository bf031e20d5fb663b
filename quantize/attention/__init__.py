"""Self-attention: from nn.MultiheadAttention to int8 operators that move nothing.

The heads lie along the height of an image. Queries, keys and values are products of the tokens [1, 1, T, C]
with constants [1, heads, size, C], which give [1, heads, T, size] at once; two more products and a softmax
between them do the rest; and a convolution as high as there are heads joins them and projects. That is seven
operators for any number of heads, and neither RESHAPE nor TRANSPOSE.

`lowering` recognises the module, `layer` is its place in a lowered network and writes the operators, `module`
its fake-quantized form, `softmax` the probabilities.
"""
