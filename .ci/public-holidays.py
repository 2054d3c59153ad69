#!/usr/bin/env python3
"""Writes src/calendar/public_holidays.txt: the public holidays of countries and their subdivisions.

    python3 -m venv FOLDER && FOLDER/bin/pip install holidays==0.109
    FOLDER/bin/python .ci/public-holidays.py > src/calendar/public_holidays.txt
    cargo test --locked --lib public_holidays

To refresh the table, set PACKAGE (and LAST, when it comes near) and run these with the new version. Then read the
difference: it tells what was decreed since. The tests know some dates by heart.

The days are those of the Python package holidays (github.com/vacanza/holidays, MIT), of its category "public", under
the country's own English names where it has them. Subdivisions are those of ISO 3166-2; what the package has beyond
that, such as single cities, is left out, and so are countries that have no holiday at all in these years (Ukraine
under martial law): a calendar that never closes anything would only look like one. The form is told in the file's head.
"""

import importlib.metadata
import re
import sys
import warnings
from collections import defaultdict

PACKAGE = "0.109"
FIRST, LAST = 2025, 2037

# Where a table of the package ends can only be seen from outside: a holiday of many years is gone from one year on.
SEEN_FIRST, SEEN_LAST = 2015, 2045
# One that goes this early was abolished, or rests on decrees from year to year.
EARLIEST_END = LAST - 9
YEARS_IN_A_ROW = 8

HEAD = """\
# The line above: the package that the days are from, its version, the first and the last year.
#
# Written by .ci/public-holidays.py, which says how to refresh it; not to be changed by hand. What is wrong here is
# best put right in the package, and until then by add and remove in the settings.
#
# "@CODE YEAR NAME" begins a country, or a subdivision behind its country, and names the last year up to which all
# of its holidays are known. The lines below it are its holidays; those of a subdivision change its country's:
# "+NAME" there are such days, "-NAME" there are not; then a tab and MMDD, the date in every year, or a column for
# each year with MMDD, several with commas between, or "-" for none.
#
# The package and the days in it have this licence:
#
"""


def licence():
    """The package's licence as a comment."""
    files = importlib.metadata.files("holidays") or []
    text = next(file for file in files if file.name == "LICENSE").locate().read_text()
    return "".join(f"# {line}".rstrip() + "\n" for line in text.strip().splitlines())


def language(entity):
    """The country's own English, else the package's, else none is to be chosen."""
    own = entity.default_language
    if own is None or own.startswith("en"):
        return own
    return "en_US" if "en_US" in entity.supported_languages else own


def days(holidays, country, subdivision):
    """All holidays of a place, as pairs of date and name, and its last known year."""
    entity = holidays.country_holidays(country, subdiv=subdivision)
    found = holidays.country_holidays(
        country,
        subdiv=subdivision,
        years=range(SEEN_FIRST, SEEN_LAST + 1),
        language=language(entity),
        categories=(holidays.PUBLIC,),
    )
    pairs = {(day, name.strip()) for day in found for name in found.get_list(day)}
    return pairs, min(entity.end_year, last_known_year(pairs))


def last_known_year(pairs):
    """The last year before a holiday of many years is gone for good; what stands in brackets comes and goes."""
    years = defaultdict(set)
    for day, name in pairs:
        years[re.sub(r"\s*\([^)]*\)", "", name)].add(day.year)
    last = LAST
    for seen in years.values():
        end = max(seen)
        lasted = all(end - back in seen for back in range(YEARS_IN_A_ROW))
        if lasted and EARLIEST_END <= end < LAST:
            last = min(last, end)
    return last


def lines(sign, pairs):
    """Days as lines, by their first date."""
    by_name = defaultdict(set)
    for day, name in pairs:
        if FIRST <= day.year <= LAST:
            by_name[name].add(day)
    for name, dates in sorted(by_name.items(), key=lambda item: (min(item[1]), item[0])):
        if "\t" in name or "\n" in name:
            sys.exit(f"a name with a tab or a line break: {name!r}")
        columns = []
        for year in range(FIRST, LAST + 1):
            of_year = sorted(f"{day:%m%d}" for day in dates if day.year == year)
            columns.append(",".join(of_year) or "-")
        same = len(set(columns)) == 1
        yield f"{sign}{name}\t{columns[0] if same else ' '.join(columns)}\n"


def names(holidays, country):
    """The names of a country's subdivisions by their codes."""
    aliases = type(holidays.country_holidays(country)).subdivisions_aliases
    found = {}
    for alias, code in aliases.items():
        if len(found.get(code, "")) <= 3:
            found[code] = alias
    return found


def main():
    if importlib.metadata.version("holidays") != PACKAGE:
        sys.exit(f"the table is made from version {PACKAGE} of the package holidays: pip install holidays=={PACKAGE}")
    import holidays
    from holidays.registry import COUNTRIES

    # That a country's table ends is told in the file.
    warnings.simplefilter("ignore")
    small = {"and", "of", "the", "da"}
    countries = {
        entry[1]: " ".join(word if word in small else word.capitalize() for word in key.split("_"))
        for key, entry in COUNTRIES.items()
    }
    write = sys.stdout.write
    write(f"holidays {PACKAGE} {FIRST} {LAST}\n{HEAD}{licence()}")
    supported = holidays.list_supported_countries(include_aliases=False)
    for country, subdivisions in sorted(supported.items()):
        shared, last = days(holidays, country, None)
        subdivision_names = names(holidays, country)
        subdivisions = [code for code in subdivisions if re.fullmatch("[A-Z0-9]{1,3}", code)]
        if not any(FIRST <= day.year <= LAST for day, _ in shared):
            continue
        write(f"@{country} {last} {countries[country]}\n")
        write("".join(lines("+", shared)))
        for code in sorted(subdivisions):
            own, last = days(holidays, country, code)
            write(f"@{country}-{code} {last} {subdivision_names.get(code, code)}\n")
            write("".join(lines("+", own - shared)))
            write("".join(lines("-", shared - own)))


if __name__ == "__main__":
    main()
