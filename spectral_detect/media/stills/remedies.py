"""What to do about a file that is refused: the words that several refusals share."""

INTACT_COPY = "get an intact copy"
AS_PNG = "convert it to PNG"
OUT_OF_PDF = "take its pictures out as they are, for instance with pdfimages -all"
AS_16_BIT = "convert to 8 or 16 bit"
EITHER = f"{INTACT_COPY}, or {AS_PNG}"
AS_VIDEO = "judge it with spectral-detect video"
NO_IMAGE = "look at what it is: get an intact copy of the image, or leave the file out"
