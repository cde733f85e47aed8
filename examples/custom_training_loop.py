"""A training loop of one's own on the California housing data.

The model and the loop are those of a chapter of study notes on TensorFlow: a batch drawn at
random, a gradient tape, an L2 penalty, Nadam, a status bar. After them come the test error and
a picture of the learning curve.

    headrace run examples/custom_training_loop.py [PICTURE]

scikit-learn downloads the data once. Without a network the loop trains on the small diabetes
data that come with scikit-learn.
"""

import socket
import sys
import warnings

import matplotlib
import numpy as np
import tensorflow as tf
from sklearn.datasets import fetch_california_housing, load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tensorflow import keras

matplotlib.use("agg")
import matplotlib.pyplot as plt

picture = sys.argv[1] if len(sys.argv) > 1 else "learning_curve.png"
socket.setdefaulttimeout(10)

# Data: what the notes have, or what is always at hand.
n_epochs = 5
unit = "100,000 dollars"
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's warnings that it tries again
        housing = fetch_california_housing()
except OSError as error:
    print(f"The California housing data can't be downloaded ({error}).")
    print("Training on scikit-learn's diabetes data instead (442 patients).")
    housing = load_diabetes()
    housing.target = housing.target / 100
    unit = "100 points of disease progression"
    n_epochs = 40

X_train_full, X_test, y_train_full, y_test = train_test_split(
    housing.data, housing.target.reshape(-1, 1), random_state=42
)
X_train, X_valid, y_train, y_valid = train_test_split(
    X_train_full, y_train_full, random_state=42
)

scaler = StandardScaler()
X_train_scaled = scaler.fit_transform(X_train)
X_valid_scaled = scaler.transform(X_valid)
X_test_scaled = scaler.transform(X_test)

# The model: two dense layers with an L2 penalty on their weights.
l2_reg = keras.regularizers.l2(0.05)
model = keras.models.Sequential(
    [
        keras.layers.Dense(
            30, activation="elu", kernel_initializer="he_normal", kernel_regularizer=l2_reg
        ),
        keras.layers.Dense(1, kernel_regularizer=l2_reg),
    ]
)


def random_batch(X, y, batch_size=32):
    """A batch of rows drawn at random, with replacement."""
    idx = np.random.randint(len(X), size=batch_size)
    return X[idx], y[idx]


def print_status_bar(iteration, total, loss, metrics=None):
    """Rewrite the line that shows how far the epoch is, and its means so far."""
    metrics = " - ".join(
        ["{}: {:.4f}".format(m.name, m.result()) for m in [loss] + (metrics or [])]
    )
    end = "" if iteration < total else "\n"
    print("\r{}/{} - ".format(iteration, total) + metrics, end=end)


batch_size = 32
n_steps = len(X_train) // batch_size
optimizer = keras.optimizers.Nadam(lr=0.01)
loss_fn = keras.losses.mean_squared_error
mean_loss = keras.metrics.Mean()
metrics = [keras.metrics.MeanAbsoluteError()]


def errors(X, y):
    """Mean squared and mean absolute error of the model's predictions."""
    y_pred = model(X)
    return (
        float(tf.reduce_mean(keras.losses.mean_squared_error(y, y_pred))),
        float(tf.reduce_mean(keras.losses.mean_absolute_error(y, y_pred))),
    )


# The loop.
step_losses, valid_mse = [], []
for epoch in range(1, n_epochs + 1):
    print("Epoch {}/{}".format(epoch, n_epochs))
    for step in range(1, n_steps + 1):
        X_batch, y_batch = random_batch(X_train_scaled, y_train)
        with tf.GradientTape() as tape:
            y_pred = model(X_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss] + model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)
        print_status_bar(step * batch_size, len(y_train), mean_loss, metrics)
        step_losses.append(float(main_loss))
    print_status_bar(len(y_train), len(y_train), mean_loss, metrics)
    for metric in [mean_loss] + metrics:
        metric.reset_states()
    valid_mse.append(errors(X_valid_scaled, y_valid)[0])

mse, mae = errors(X_test_scaled, y_test)
print(f"Test error: {mse:.4f} (mean squared), {mae:.4f} (mean absolute, in {unit})")

# The learning curve: each step's loss, smoothed over half an epoch, and the validation error.
window = max(1, n_steps // 2)
smooth = np.convolve(step_losses, np.full(window, 1 / window), mode="valid")
plt.figure(figsize=(7, 4))
plt.plot((np.arange(len(smooth)) + window) / n_steps, smooth, label="training")
plt.plot(range(1, n_epochs + 1), valid_mse, "o-", label="validation")
plt.xlabel("epoch")
plt.ylabel("mean squared error")
plt.ylim(bottom=0)
plt.legend()
plt.tight_layout()
plt.savefig(picture, dpi=120)
print(f"Learning curve: {picture}")
