"""Groups that act on codes of images, and denoising seen as the action of one."""
