"""Models from elsewhere: Keras, SavedModel and any int8 `.tflite` file."""
