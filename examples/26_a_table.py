"""A table: from a raw CSV file with categories and gaps to a model that predicts from raw rows.

344 real penguins, with text, gaps and seven columns to tell three species by. To be seen: what there is to know about
the table, measured on training rows alone; numbers standardised, categories as rows of zeros and ones, gaps filled; a
network that finds the species of nearly all penguins it has not seen. One file holds all of it: loaded again it takes a
row as it is, in any order, with gaps, and an island that training did not have. Then the graph of one training step.
"""

import sys
from pathlib import Path

import numpy as np

import tinygrad_nn as tn

out = Path(sys.argv[1] if len(sys.argv) > 1 else ".")

table = tn.data.load_table(tn.data.penguins_csv())
print(table, end="\n\n")
train, validation, test = table.split(rng=0, stratify="species")

preprocessor = tn.data.Preprocessor(target="species", fill="median").fit(train)
print("features:", ", ".join(preprocessor.feature_names), end="\n\n")

rng = np.random.default_rng(0)
network = tn.nn.Sequential(  # ends in logits
    tn.nn.Dense(preprocessor.n_features, 16, "tanh", rng=rng), tn.nn.Dense(16, preprocessor.n_outputs, rng=rng)
)
history = tn.fit(
    network, tn.cross_entropy, tn.optim.Adam(network.parameters(), lr=0.01), preprocessor.pair(train), epochs=100,
    validation=preprocessor.pair(validation), patience=10, metrics="accuracy", progress=False, rng=rng,
)  # fmt: skip
print(f"{len(history)} epochs, validation loss {min(history['validation_loss']):.4f}")

model = tn.nn.Predictor(network, preprocessor)
right = model.predict(test) == test["species"]
print(f"{right.sum()} of {len(test)} unseen penguins named rightly\n")

saved = model.save(out / "penguins.safetensors")
again = tn.nn.load(saved)  # as another process does: tinygrad-nn predict penguins.safetensors new.csv
row = {"island": "Deception", "bill_length_mm": 48.0, "bill_depth_mm": None, "flipper_length_mm": 217,
       "body_mass_g": 5300, "sex": "male", "year": 2009}  # fmt: skip
for label, p in zip(again.classes_, again.predict_proba([row])[0], strict=True):
    print(f"  {label:10} {p:6.1%}  {'█' * round(30 * p)}")

X, y = preprocessor.pair(train)
J = tn.cross_entropy(network(X), tn.tensor(y, name="y")).named("J")
tn.draw(J, detail="layers").save(out / "penguins_step.svg")
print(f"\nfile: {saved}\npicture: {out / 'penguins_step.svg'}")
