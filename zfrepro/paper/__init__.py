"""What Zeiler & Fergus (2013) report, and what they leave open: the numbers of their tables, and our GUESSES.

Numbers are arXiv 1311.2901 v3's; `tables/` holds them as CSV, `provenance.csv` there says how each was checked. A row's
`name` is what the code reads, its `row_id` traces it to the checked sources.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

DATA_FILES = ("paper/tables/*.csv",)


@functools.cache
def table(name: str) -> pd.DataFrame:
    """One of the paper's tables, numbers in percent unless its header says otherwise: `table("table3_ablation")`."""
    import pandas as pd

    return pd.read_csv(Path(__file__).parent / "tables" / f"{name}.csv")


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one of the paper's tables, as column -> value."""
    return [{str(column): value for column, value in row.items()} for row in table(name).to_dict("records")]


VARIANTS: dict[str, dict[str, Any]] = {  # row of Table 3 -> the network's description (core/architecture.py, Network)
    "baseline": {"base": "baseline"},
    "baseline-without-3-4": {"base": "baseline", "remove": (3, 4)},
    "baseline-without-7": {"base": "baseline", "remove": (7,)},
    "baseline-without-6-7": {"base": "baseline", "remove": (6, 7)},
    "baseline-without-3-4-6-7": {"base": "baseline", "remove": (3, 4, 6, 7)},
    "baseline-2048": {"base": "baseline", "units": 2048},
    "baseline-8192": {"base": "baseline", "units": 8192},
    "improved": {"base": "improved"},
    "improved-2048": {"base": "improved", "units": 2048},
    "improved-8192": {"base": "improved", "units": 8192},
    "improved-wide": {"base": "improved", "maps": (512, 1024, 512)},
    "improved-wide-8192": {"base": "improved", "maps": (512, 1024, 512), "units": 8192},
}


@dataclass(frozen=True)
class Guess:
    """Something the paper does not state: what, what we chose, why, and where in the paper one would look for it."""

    what: str
    choice: str
    reason: str
    where: str


GUESSES: tuple[Guess, ...] = (
    Guess(
        "How convolution sizes are rounded",
        "Up, with zeros added at the right and bottom",
        "224 pixels, a 7x7 filter and stride 2 give the 110 of Fig 3 only if rounded up, as cuda-convnet does, on which the "
        "authors' code is based.",
        "Fig 3",
    ),
    Guess(
        "Constants of the contrast normalisation",
        "Across maps, k = 2, n = 5, alpha = 1e-4, beta = 0.75",
        "The text refers to Krizhevsky et al., whose constants these are; alpha is not divided by n.",
        "Fig 3, section 3",
    ),
    Guess(
        "Whether the replication of Krizhevsky's network keeps its two halves",
        "Dense, no grouped connections; normalisation before pooling, as in Krizhevsky",
        "So that baseline and improved network differ in layers 1 and 2 alone; the paper says of its own network that it is dense.",
        "Section 3, Table 2",
    ),
    Guess(
        "Weight decay",
        "5e-4 on weights, none on biases",
        "Not mentioned; Krizhevsky calls his 5e-4 important for the model to learn.",
        "Section 3",
    ),
    Guess(
        "Initial weights",
        "At full size Gaussian with standard deviation 0.01, biases 0; a reduced experiment may choose `matched` (the spread "
        "grows as fan-in shrinks) or `he` (He et al. 2015, a tenth of it in layer 1, a fifth in layer 8, biases 0.1 in layers "
        "2 to 7) with inputs scaled down",
        "`Initialised to 1e-2` cannot be literal, since equal weights stay equal. At a quarter of the width a spread of 0.01 "
        "leaves the scores so small that training stays at chance; of the two remedies `he` learned faster where both were tried. "
        "Layer 1 takes over the inputs' scale when the network is saved.",
        "Section 3",
    ),
    Guess(
        "When filters are clipped to an RMS of 0.1, and whether biases count",
        "After every update, convolution filters only, without their biases",
        "The text names the convolutional layers and says neither; after every update the bound always holds.",
        "Section 3",
    ),
    Guess(
        "When and how the learning rate is annealed",
        "Divided by 10 when validation top-1 error has not fallen by 0.1 points for 5 epochs, three times at most; a reduced "
        "experiment may follow a cosine instead",
        "The paper anneals by hand when the error stalls; Krizhevsky divided by 10, three times. A run of a few epochs has no time "
        "to stall.",
        "Section 3",
    ),
    Guess(
        "Which crops a training picture is seen in",
        "One of the ten sub-crops (corners, centre, mirrored), drawn anew each epoch; a reduced experiment may crop anywhere",
        "The text lists these ten for training; Krizhevsky crops at random positions.",
        "Section 3",
    ),
    Guess(
        "Dropout when layers 6 or 7 are removed",
        "It goes with its layer; nothing replaces it",
        "The paper ties dropout to layers 6 and 7.",
        "Table 3",
    ),
    Guess(
        "How pictures are resized",
        "Pillow's bicubic filter, shorter side to the stored size and the centre square, in one resampling",
        "The filter is not stated; bicubic was the default of the tools of the time.",
        "Section 3",
    ),
    Guess(
        "Number of views at test time",
        "Both are computed; tables show the ten views (corners, centre, mirrored; softmax averaged) unless they say single view",
        "Ten views are what Krizhevsky averages and what the ten sub-crops suggest.",
        "Table 2",
    ),
    Guess(
        "How an ensemble is combined, and what differs between its members",
        "Class probabilities are averaged; members differ in their seed",
        "Krizhevsky averages predictions; nothing else is said.",
        "Table 2",
    ),
    Guess(
        "On which pictures training error is measured",
        "Centre crop of training pictures, without dropout (a fixed number of them if the set is large)",
        "Single view, to spare time: the validation columns are in ten views unless they say single view.",
        "Table 3",
    ),
    Guess(
        "What unpooling does where overlapping windows share a maximum",
        "The values add up",
        "That is the transpose of max pooling; overwriting would depend on the order.",
        "Section 2.1, Fig 1",
    ),
    Guess(
        "Where a layer's activations are taken for the deconvnet",
        "After the ReLU, before pooling and normalisation",
        "Fig 1 attaches the deconvnet there. For the strongest activations it makes no difference: the strongest pooled value is the "
        "strongest value at its switch.",
        "Section 2.1",
    ),
    Guess(
        "Whether the nine strongest activations of a map may come from one picture",
        "One activation a picture, so nine pictures",
        "Fig 2 shows nine different pictures for each map.",
        "Fig 2",
    ),
    Guess(
        "Which maps Fig 2 shows",
        "Drawn at random, from a seed, among the maps that are active at least once",
        "The caption says a random subset; a map that never fires has nothing to show. Their number is told.",
        "Fig 2",
    ),
    Guess(
        "What is shown of a unit at the picture's border",
        "A tile as large as its receptive field, moved inside the picture; all of it where the field is larger",
        "Projection and patch then show the same pixels, and none outside the picture.",
        "Fig 2",
    ),
    Guess(
        "Which maps Fig 4 shows, and how its contrast is enhanced",
        "Drawn at random, from a seed, among the maps active in the last column; one scale a tile",
        "The caption says a randomly chosen subset and artificially enhanced contrast, no more.",
        "Fig 4",
    ),
    Guess(
        "Which maps Fig 6 shows of layer 2, and on which scale",
        "25 drawn at random as for Fig 2, of which Fig 2 shows the first 16; one scale a map",
        "The grids are 5 x 5 in arXiv's version; how the maps were chosen is not said.",
        "Fig 6",
    ),
    Guess(
        "Which layer-5 map is the strongest",
        "The one with the largest sum over positions in the unoccluded picture",
        "The plotted quantity is that sum; maximum or sum is not said.",
        "Fig 7",
    ),
    Guess(
        "Which pictures are occluded",
        "Correctly classified ones of different classes, drawn from a seed among the surer half",
        "Nothing is said of how the three were chosen.",
        "Fig 7",
    ),
    Guess(
        "The grey of the occluding square",
        "124 in all channels",
        "Read from the published pictures.",
        "Fig 7",
    ),
    Guess(
        "How large the square is that covers an eye or a nose, and its colour",
        "32 pixels at 224, about the same share of a smaller input; grey 124; one size for all parts and for random places",
        "Neither is stated; 32 pixels hide an eye. The grey is that of the occlusion maps.",
        "Table 1, Fig 8",
    ),
    Guess(
        "Where the random parts of Table 1 lie, and how many there are",
        "Ten random places a picture, in the object's box where it is known, touching none of the three parts; values are averaged",
        "`Random parts of the object`; their number is not stated.",
        "Table 1, Fig 8",
    ),
    Guess(
        "What Table 1 prints",
        "The share of features whose sign of change differs, mean over all pairs; 0 is a sign of its own; ± is the standard "
        "deviation over the pairs",
        "The formula is a sum, but values near 0.07 can only be mean shares, and so low only if units at 0 in both pictures agree.",
        "Table 1",
    ),
    Guess(
        "Where the features of Table 1 are taken",
        "Layer 5 after its pooling, layer 7 after its ReLU",
        "Only there are many units exactly 0, which the printed values need.",
        "Table 1",
    ),
    Guess(
        "Which pictures Table 1 compares",
        "Drawn from a seed among those whose eyes and nose lie in the centre view, whatever the network says of them; five as in the "
        "paper, and more for a steadier mean",
        "Five dogs in frontal pose were drawn at random; nothing else is said.",
        "Table 1, Fig 8",
    ),
    Guess(
        "How the `canonical distance` of Fig 5 is normalised",
        "Every map of layer 1 is scaled to unit length over its positions; layer 7 counts as one map",
        "Distances then stay below the square root of 2 x 96 = 13.9 in layer 1 and of 2 in layer 7; the figure goes to 12 and 1.4.",
        "Fig 5",
    ),
    Guess(
        "Which outputs of layers 1 and 7 Fig 5 compares",
        "What the next layer reads: layer 1 after pooling and normalisation, layer 7 after its ReLU",
        "The text says feature vectors of a layer, no more.",
        "Fig 5",
    ),
    Guess(
        "What lies beyond the border of a shifted, scaled or turned picture",
        "Its mirror image when shifted or scaled, black corners when turned",
        "The figure shows no border in its first two rows and black corners in the third.",
        "Fig 5",
    ),
    Guess(
        "Which five pictures are shifted, scaled and turned",
        "One each of different classes, drawn from a seed, whether classified correctly or not; means are over many more",
        "Two of the paper's five are below 0.3 untouched.",
        "Fig 5",
    ),
    Guess(
        "How the classifiers on frozen features are regularised, and what they see",
        "An L2 penalty, its strength chosen by inner folds of the training pictures; features of the centre view, flattened, "
        "centred and scaled by one number; the SVM is one against the others with a squared hinge",
        "Not stated; the choice must not look at the test pictures.",
        "Section 5.2, Tables 4 to 7",
    ),
    Guess(
        "Number of folds and of test pictures on Caltech-256",
        "As on Caltech-101: 5 random splits, at most 50 test pictures a class",
        "Only Caltech-101's are stated; the text cites Griffin et al. for the procedure.",
        "Table 5, Fig 9",
    ),
    Guess(
        "How overlapping pictures are found, and where they are removed",
        "Copies of 16 x 16 pixels, every channel freed of its mean, mirrored ones too, with a normalised correlation of at "
        "least 0.97; left out of the target set",
        "The text says normalised correlation, neither size nor threshold. The paper removes them from ImageNet and trains "
        "again; leaving them out of the target costs no training.",
        "Section 5.2",
    ),
    Guess(
        "How a picture of PASCAL VOC with several objects gets one label",
        "That of its largest object that is not marked difficult; pictures without one do not train the softmax",
        "One exclusive label is stated, not how it is chosen. One sigmoid a class stands beside it.",
        "Table 6",
    ),
    Guess(
        "On which pictures of PASCAL VOC 2012 the average precision is measured",
        "Trained on train, measured on val",
        "The labels of the test set, which the paper used, are not public.",
        "Table 6",
    ),
    Guess(
        "Whether Caltech-101's background class counts",
        "101 categories without it",
        "The number of pictures given, 9,144, includes it; which classes were scored is not said.",
        "Table 4",
    ),
    Guess(
        "Whether Caltech-256's clutter class counts",
        "256 categories without it",
        "The number of pictures given, 30,607, includes it; it is no category.",
        "Table 5",
    ),
)
