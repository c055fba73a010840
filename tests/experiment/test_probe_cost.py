"""Operations of linear classifiers, by hand."""

from zfrepro.datasets.published import Counts
from zfrepro.experiment.probe_cost import MOST, PRODUCTS, count_operations
from zfrepro.stages import folds, probes

SPEC = probes.Spec(softmax=(1.0,), svm=(4.0,), sigmoids=(1.0,), inner=2)
SOFTMAX, SVM = PRODUCTS["softmax"], 2 * PRODUCTS["svm"]  # products of a fit: the square root of 4 is 2


def fit(products, train, test, classes=2):
    return 2 * classes * train * (products * train + test)


def test_both_classifiers_on_one_fold():
    split = folds.Spec(per_class=(5,), test_per_class=3, folds=1)
    operations = count_operations(SPEC, split, Counts(2, {"all": 20}), {7: 9}, "network", several=False)
    chosen = sum(2 * fit(products, 5, 5) for products in (SOFTMAX, SVM))  # on each of two halves of ten images
    assert operations == 20 * 20 * 9 + chosen + fit(SOFTMAX, 10, 6) + fit(SVM, 10, 6)


def test_the_curve_is_the_softmax_of_the_deepest_layer_and_single_images_choose_nothing():
    split = folds.Spec(per_class=(1, 5), test_per_class=3, folds=4)
    size, lengths = Counts(2, {"all": 20}), {1: 100, 7: 9}
    with_curve, without = (
        count_operations(SPEC.model_copy(update={"curve": curve}), split, size, lengths, "network", several=False)
        for curve in (True, False)
    )
    assert with_curve - without == 4 * fit(SOFTMAX, 2, 6)
    assert without == 400 * 109 + 4 * 2 * (
        2 * (fit(SOFTMAX, 5, 5) + fit(SVM, 5, 5)) + fit(SOFTMAX, 10, 6) + fit(SVM, 10, 6)
    )


def test_hog_has_the_svm_alone_and_a_strong_fit_a_limit():
    split = folds.Spec(per_class=(1,), test_per_class=3, folds=1)
    strong = SPEC.model_copy(update={"svm": (1e6,)})
    operations = count_operations(strong, split, Counts(2, {"all": 20}), {0: 9}, "hog", several=False)
    assert operations == 20 * 20 * 9 + fit(MOST["svm"], 2, 6)


def test_a_set_with_several_classes_an_image_has_its_own_splits():
    size = Counts(3, {"train": 12, "val": 8})
    operations = count_operations(SPEC, folds.Spec(), size, {5: 7, 7: 9}, "network", several=True)
    each = fit(SOFTMAX, 12, 8, 3) + 2 * fit(SOFTMAX, 6, 6, 3)
    assert operations == 20 * 20 * 9 + 2 * each  # softmax and sigmoids, on the deepest layer
