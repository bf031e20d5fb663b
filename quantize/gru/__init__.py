"""GRU networks as one step in int8 operators: TFLite has no fused int8 GRU.

The file takes a sample and the state and gives probabilities and the next state; who runs it feeds the state
back and starts from zeros. `module` is the fake-quantized network, `step` makes the graph of its step.
"""
