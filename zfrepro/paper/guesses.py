"""Details that the paper leaves open, and our choices.

Not in the package's `__init__`: what only reads the paper's numbers must not depend on these texts.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        "So that baseline and improved network differ only in layers 1 and 2; the paper says of its own network that it is dense.",
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
        "The paper anneals by hand when the error stalls; Krizhevsky divided by 10, three times. A run of a few epochs is too short for "
        "the error to stall.",
        "Section 3",
    ),
    Guess(
        "Which crops of a training image are used",
        "One of the ten sub-crops (corners, centre, mirrored), drawn again in each epoch; a reduced experiment may crop anywhere",
        "The text lists these ten for training; Krizhevsky crops at random positions.",
        "Section 3",
    ),
    Guess(
        "Dropout when layers 6 or 7 are removed",
        "It is removed with its layer; nothing replaces it",
        "The paper ties dropout to layers 6 and 7.",
        "Table 3",
    ),
    Guess(
        "How images are resized",
        "Pillow's bicubic filter, shorter side to the stored size, then the centre square, in one resampling",
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
        "Krizhevsky averages predictions; the paper adds nothing.",
        "Table 2",
    ),
    Guess(
        "On which images training error is measured",
        "Centre crop of training images, without dropout (a fixed number of them if the set is large)",
        "Single view, to save time; the validation columns are in ten views unless they say single view.",
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
        "Whether the nine strongest activations of a map may come from one image",
        "One activation per image, so nine images",
        "Fig 2 shows nine different images for each map.",
        "Fig 2",
    ),
    Guess(
        "Which maps Fig 2 shows",
        "Drawn at random, with a fixed seed, from the maps that are active at least once",
        "The caption says a random subset; a map that is never active has nothing to show. The report gives the number of such maps.",
        "Fig 2",
    ),
    Guess(
        "What is shown of a unit at the image's border",
        "A tile as large as its receptive field, moved inside the image; the whole image where the field is larger",
        "Projection and patch then show the same pixels, and none outside the image.",
        "Fig 2",
    ),
    Guess(
        "Which maps Fig 4 shows, and how its contrast is enhanced",
        "Drawn at random, with a fixed seed, from the maps active in the last column; one scale per tile",
        "The caption says only that the subset is random and the contrast artificially enhanced.",
        "Fig 4",
    ),
    Guess(
        "Which maps Fig 6 shows of layer 2, and on which scale",
        "25 drawn at random as for Fig 2, of which Fig 2 shows the first 16; one scale per map",
        "The grids are 5 x 5 in arXiv's version; how the maps were chosen is not stated.",
        "Fig 6",
    ),
    Guess(
        "Which layer-5 map is the strongest",
        "The one with the largest sum over positions in the unoccluded image",
        "The plotted quantity is that sum; whether maximum or sum selects the map is not stated.",
        "Fig 7",
    ),
    Guess(
        "Which images are occluded",
        "Correctly classified images of different classes, drawn with a fixed seed from the half with the higher P(true class)",
        "How the three were chosen is not stated.",
        "Fig 7",
    ),
    Guess(
        "The grey of the occluding square",
        "124 in all channels",
        "Read from the published figure.",
        "Fig 7",
    ),
    Guess(
        "Size and colour of the square that covers an eye or a nose",
        "32 pixels at 224, about the same share of a smaller input; grey 124; one size for all parts and for random positions",
        "Neither is stated; 32 pixels hide an eye. The grey is that of the occlusion maps.",
        "Table 1, Fig 8",
    ),
    Guess(
        "Where the random parts of Table 1 are, and how many",
        "Ten random positions per image, in the object's box where it is known, touching none of the three parts; values are averaged",
        "`Random parts of the object`; their number is not stated.",
        "Table 1, Fig 8",
    ),
    Guess(
        "What Table 1 prints",
        "The share of features whose sign of change differs, mean over all pairs; 0 counts as a third sign; ± is the standard "
        "deviation over the pairs",
        "The formula is a sum, but values near 0.07 can only be mean shares, and so low only if units at 0 in both images count as equal.",
        "Table 1",
    ),
    Guess(
        "Where the features of Table 1 are taken",
        "Layer 5 after its pooling, layer 7 after its ReLU",
        "Only there are many units exactly 0, which the printed values need.",
        "Table 1",
    ),
    Guess(
        "Which images Table 1 compares",
        "Drawn with a fixed seed from those whose eyes and nose lie in the centre view, whatever the network predicts; five as in the "
        "paper, and more for a more precise mean",
        "Five dogs in frontal pose were drawn at random; nothing else is stated.",
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
        "The text says only feature vectors of a layer.",
        "Fig 5",
    ),
    Guess(
        "What fills the border of a shifted, scaled or rotated image",
        "Reflection when shifted or scaled, black corners when rotated",
        "The figure shows no border in its first two rows and black corners in the third.",
        "Fig 5",
    ),
    Guess(
        "Which five images are shifted, scaled and rotated",
        "One image from each of five classes, drawn with a fixed seed, whether classified correctly or not; means are over many more",
        "Two of the paper's five have a P(true class) below 0.3 before any change.",
        "Fig 5",
    ),
    Guess(
        "How the classifiers on frozen features are regularised, and what their input is",
        "An L2 penalty, its strength chosen by inner folds of the training images; features of the centre view, flattened, "
        "centred and scaled by one number; the SVM is one-vs-rest with a squared hinge loss",
        "Not stated; the choice must not use the test images.",
        "Section 5.2, Tables 4 to 7",
    ),
    Guess(
        "Number of folds and of test images on Caltech-256",
        "As on Caltech-101: 5 random splits, at most 50 test images per class",
        "Only Caltech-101's are stated; the text cites Griffin et al. for the procedure.",
        "Table 5, Fig 9",
    ),
    Guess(
        "How overlapping images are found, and where they are removed",
        "Thumbnails of 16 x 16 pixels, mean-subtracted per channel, also mirrored, with a normalised correlation of at "
        "least 0.95; of the most similar images also parts, which finds copies that were cropped or framed; left out of the target set",
        "The text says normalised correlation, but neither size nor threshold. The paper removes them from ImageNet and trains "
        "again; leaving them out of the target costs no training.",
        "Section 5.2",
    ),
    Guess(
        "How an image of PASCAL VOC with several objects gets one label",
        "That of its largest object that is not marked difficult; images without one do not train the softmax",
        "One exclusive label is stated, not how it is chosen. The table also gives one sigmoid per class.",
        "Table 6",
    ),
    Guess(
        "On which images of PASCAL VOC 2012 the average precision is measured",
        "Trained on train, measured on val",
        "The labels of the test set, which the paper used, are not public.",
        "Table 6",
    ),
    Guess(
        "Whether Caltech-101's background class counts",
        "101 categories without it",
        "The number of images given, 9,144, includes it; which classes were scored is not stated.",
        "Table 4",
    ),
    Guess(
        "Whether Caltech-256's clutter class counts",
        "256 categories without it",
        "The number of images given, 30,607, includes it; it is not a category.",
        "Table 5",
    ),
)
