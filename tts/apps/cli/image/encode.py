"""Codes of images, into a safetensors file: `codes` (n, N, d), `index` (n,) of their images. `decode` draws them again."""

import argparse
import logging

from tts.apps.cli.image._options import add_image_arguments, add_model_arguments, check_index, chosen_index, chosen_set

logger = logging.getLogger(__name__)

COUNT = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `glottis image encode`."""
    add_model_arguments(parser, "safetensors file to write")
    add_image_arguments(parser, COUNT)


def run(args: argparse.Namespace) -> int:
    """Encode."""
    from tts.inference.image_code_file import save_codes
    from tts.inference.image_model import ImageModel
    from tts.inference.whole_folder import fingerprint

    model = ImageModel.from_pretrained(args.model, args.device)
    images = chosen_set(args, model)
    index = check_index(args.index or chosen_index(args, images, COUNT), len(images))
    codes = model.encode(images.images(index))
    save_codes(args.out, codes, index, fingerprint(model.model))
    logger.info("codes %s in %s", codes.shape, args.out)
    return 0
