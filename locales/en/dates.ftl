# Dates and lists. $day and $year come as text, so that no separator stands in them; $month is a number.

date =
    { $day } { $month ->
        [1] January
        [2] February
        [3] March
        [4] April
        [5] May
        [6] June
        [7] July
        [8] August
        [9] September
        [10] October
        [11] November
       *[12] December
    } { $year }
# $time is "15:03", with the zone's abbreviation behind it where the zone is not the reader's own choice.
moment = { date }, { $time }
weekday =
    { $day ->
        [Mon] Monday
        [Tue] Tuesday
        [Wed] Wednesday
        [Thu] Thursday
        [Fri] Friday
        [Sat] Saturday
       *[Sun] Sunday
    }
# Between the parts of a list.
list-separator = {", "}
# The language's own name.
language-name = English
