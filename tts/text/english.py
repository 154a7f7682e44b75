"""Tables of the English normaliser: abbreviations, units, currencies and symbols with the words they are read as."""

# with a full stop; those of FAMILIAR_TITLES also without one before a name
TITLES = {
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Dr": "Doctor",
    "Prof": "Professor",
    "St": "Saint",
    "Rev": "Reverend",
    "Hon": "Honorable",
    "Capt": "Captain",
    "Col": "Colonel",
    "Gen": "General",
    "Lt": "Lieutenant",
    "Maj": "Major",
    "Sgt": "Sergeant",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Pres": "President",
    "Mt": "Mount",
    "Ft": "Fort",
}
FAMILIAR_TITLES = ("Mr", "Mrs", "Ms", "Dr", "Prof", "St")

# with a full stop, anywhere
ABBREVIATIONS = {
    "Jr": "Junior",
    "Sr": "Senior",
    "Co": "Company",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Corp": "Corporation",
    "Bros": "Brothers",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "St": "Street",
    "vs": "versus",
    "etc": "et cetera",
    "approx": "approximately",
    "dept": "department",
    "Dept": "Department",
}

# with a full stop, before a digit
COUNTED = {
    "No": "number",
    "no": "number",
    "Nos": "numbers",
    "Fig": "Figure",
    "fig": "figure",
    "Vol": "Volume",
    "vol": "volume",
    "Ch": "Chapter",
    "ch": "chapter",
    "p": "page",
    "pp": "pages",
    "est": "established",
}

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

# after a number: one of it, several of it
UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mph": ("mile per hour", "miles per hour"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "m": ("meter", "meters"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "g": ("gram", "grams"),
    "lbs": ("pound", "pounds"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ml": ("milliliter", "milliliters"),
    "ms": ("millisecond", "milliseconds"),
    "min": ("minute", "minutes"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "kW": ("kilowatt", "kilowatts"),
    "dB": ("decibel", "decibels"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "¢": ("cent", "cents"),
    "%": ("percent", "percent"),
}

# one, several, one hundredth, several hundredths
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
MONEY_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}

SYMBOLS = {
    "&": "and",
    "@": "at",
    "+": "plus",
    "=": "equals",
    "%": "percent",
    "#": "hash",
    "°": "degrees",
    "×": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "§": "section",
    "≈": "about",
    "~": "about",
    "/": "",
    "¢": "cents",
    **{sign: names[1] for sign, names in CURRENCIES.items()},
}

IN_ADDRESSES = {
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    ":": "colon",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "%": "percent",
    "+": "plus",
    "~": "tilde",
}

# a Roman numeral is a rank after these, and a number after any other name
RULERS = {
    *("Alexander", "Benedict", "Catherine", "Charles", "Clement", "Edward", "Elizabeth", "Ferdinand", "Francis", "Frederick"),
    *("George", "Gregory", "Henry", "Ivan", "James", "John", "Leo", "Louis", "Mary", "Napoleon", "Nicholas", "Paul", "Peter"),
    *("Philip", "Pius", "Ramses", "Richard", "Wilhelm", "William"),
}
NUMBERED = {"Act", "Appendix", "Article", "Book", "Chapter", "Class", "Part", "Phase", "Scene", "Section", "Volume", "War"}
