"""LSTM layers: from nn.LSTM to TFLite's fused int8 operator.

`lowering` makes the layer from a module, `layer` is that layer, `module` its fake-quantized form, `integers`
reads what the file holds, `operator` writes UNIDIRECTIONAL_SEQUENCE_LSTM.
"""
