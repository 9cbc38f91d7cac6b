// Ten worked starts: what to type, and what to look at.

export const STARTS = [
  {
    name: "two paths",
    about: "Two paths lead from t to z. Move t: where do they cancel?",
    text: "t = 0.5\nx = exp(t)\ny = t**2\nz = sin(x**2 + y**2)",
    source: "t",
  },
  {
    name: "micrograd's lecture",
    about: "The graph of Andrej Karpathy's lecture: a neuron with two inputs, by hand.",
    text: "x1 = 2\nx2 = 0\nw1 = -3\nw2 = 1\nb = 6.8813735870195432\nn = x1*w1 + x2*w2 + b\no = tanh(n)",
    source: "w1",
  },
  {
    name: "a neuron",
    about: "A unit with three inputs; which weight gets the largest part of the gradient, and why?",
    text: "x = [1, -2, 0.5]\nw = [0.3, 0.8, -1]\nb = 0.1\na = sigmoid(w @ x + b)\nJ = 0.5*(a - 1)**2",
    source: "w",
  },
  {
    name: "XOR by hand",
    about: "Two relu units and weights set by hand compute XOR. Set x1 and x2 to 0 or 1.",
    text: "x1 = 1\nx2 = 0\nw = 1\nh1 = relu(w*x1 + x2)\nh2 = relu(w*x1 + x2 - 1)\ny = h1 - 2*h2\nJ = 0.5*(y - 1)**2",
    source: "w",
  },
  {
    name: "a residual chain",
    about: "Each block adds something small to what came in: 2³ paths, of which one goes straight through.",
    text: "t = 0.5\na = t + 0.3*tanh(t)\nb = a + 0.3*tanh(a)\nz = b + 0.3*tanh(b)",
    source: "t",
  },
  {
    name: "cancellation",
    about: "The paths are large and their sum is small: at t = 0 it vanishes altogether.",
    text: "t = 0.05\na = 5*exp(t)\nb = 5*exp(-t)\nz = a + b",
    source: "t",
  },
  {
    name: "softmax with cross-entropy",
    about: "The gradient of the scores is the softmax minus one-hot: follow the paths through log Σ exp.",
    text: "s = [2, 1, -1]\nlse = logsumexp(s)\nright = s @ [1, 0, 0]\nJ = lse - right",
    source: "s",
  },
  {
    name: "a dead relu",
    about: "No gradient passes where relu is 0. Raise b until it comes alive.",
    text: "w = 0.5\nx = 1\nb = -2\na = relu(w*x + b)\nJ = 0.5*(a - 1)**2",
    source: "w",
  },
  {
    name: "Newton on a parabola",
    about: "A step of Newton's method leads from any x to the vertex: dz/dx is 0, for whatever x.",
    text: "x = 3\nslope = 2*(x - 1)\nnext = x - slope/2\nz = (next - 1)**2",
    source: "x",
  },
  {
    name: "a shared weight",
    about: "The same w is used twice, and gets the sum of both parts: that is why gradients are added, with +=.",
    text: "w = 0.8\nx = 1\nh = tanh(w*x)\ny = tanh(w*h)\nJ = 0.5*(y - 1)**2",
    source: "w",
  },
];
