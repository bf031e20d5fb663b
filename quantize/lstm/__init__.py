"""LSTM layers: from nn.LSTM to TFLite's fused int8 operator.

`axes` and `lowering` recognise the layer in a traced network, `module` is its fake-quantized form, `integers`
reads what the file holds, `operator` writes UNIDIRECTIONAL_SEQUENCE_LSTM.
"""
