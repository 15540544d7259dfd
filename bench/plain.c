/* Per-sample gradient descent on a network of sigmoid layers and mse: the textbook's loops, in plain C.

   Compiled once for float and once for double (NUMBER). */

#include <math.h>
#include <string.h>

#define MOST 256

static NUMBER sigmoid(NUMBER z) { return (NUMBER)1 / ((NUMBER)1 + EXP(-z)); }

/* Weights are (in, out), row by row, each layer's biases behind them. losses has a place for each epoch. */
void train(NUMBER *parameters, const NUMBER *X, const NUMBER *Y, long rows, long epochs, const long *sizes,
           long layers, int linear_output, NUMBER rate, double *losses) {
  static NUMBER y[8][MOST], d[8][MOST];
  for (long epoch = 0; epoch < epochs; epoch++) {
    double sum = 0;
    for (long row = 0; row < rows; row++) {
      memcpy(y[0], X + row * sizes[0], sizes[0] * sizeof(NUMBER));
      NUMBER *w = parameters;
      for (long l = 0; l < layers; l++) {
        long I = sizes[l], O = sizes[l + 1];
        NUMBER *restrict z = y[l + 1];
        for (long o = 0; o < O; o++) z[o] = w[I * O + o];
        for (long i = 0; i < I; i++)
          for (long o = 0; o < O; o++) z[o] += y[l][i] * w[i * O + o];
        if (l + 1 < layers || !linear_output)
          for (long o = 0; o < O; o++) z[o] = sigmoid(z[o]);
        w += (I + 1) * O;
      }
      long K = sizes[layers];
      NUMBER loss = 0;
      for (long o = 0; o < K; o++) {
        NUMBER e = y[layers][o] - Y[row * K + o];
        loss += e * e;
        d[layers][o] = 2 * e / K;
        if (!linear_output) d[layers][o] *= y[layers][o] * (1 - y[layers][o]);
      }
      sum += loss / K;
      for (long l = layers - 1; l >= 0; l--) {
        long I = sizes[l], O = sizes[l + 1];
        w -= (I + 1) * O;
        NUMBER *restrict of = d[l + 1];
        if (l == 0) {
          for (long i = 0; i < I; i++)
            for (long o = 0; o < O; o++) w[i * O + o] -= rate * y[0][i] * of[o];
          for (long o = 0; o < O; o++) w[I * O + o] -= rate * of[o];
          continue;
        }
        for (long i = 0; i < I; i++) {
          NUMBER back = 0, x = y[l][i];
          for (long o = 0; o < O; o++) {
            back += w[i * O + o] * of[o];
            w[i * O + o] -= rate * x * of[o];
          }
          d[l][i] = back * x * (1 - x);
        }
        for (long o = 0; o < O; o++) w[I * O + o] -= rate * of[o];
      }
    }
    losses[epoch] = sum / rows;
  }
}
