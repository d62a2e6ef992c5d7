# What stands on the pages of subscribers: the form, the pages behind the links in mails, the preferences.

subscribe-heading = Subscribe by mail
subscribe-heading-not-yet = Not yet: subscribe by mail
subscribe-about =
    First you get a mail with a link to confirm; nothing else is sent before you have pressed the button there. Every mail has a link to leave.
subscribe-not-yet = Not yet: please look at what is marked below.
subscribe-button = Subscribe
subscribe-known = Subscribed already, and you would like to change something? Fill in your address alone, and press:
link-button = Mail me a link to my preferences
languages = This page in other languages
trap-label = Leave this empty

field-address = Your mail address
field-time-zone = Time zone
field-language = Language
what-legend = What would you like to get?
everything = Everything
everything-hint = all categories, also those that come later
how-often = How often?
at-once = At once
at-once-hint = each new article as one mail
once-a-day = Once a day
once-a-day-hint = one mail with all that is new; none where nothing is
once-a-week = Once a week
once-a-week-hint = one mail; { $day }, if no other day is ticked
at-what-time = At what time? (for the mail of a day or a week)

asked-heading = Look into your mailbox
asked-sent =
    If everything is as it should be, a mail is on its way to { $address }. Open the link in it and press the button there; only then are you subscribed.
asked-preferences = If it was the link to your preferences that you asked for, it is in that mail.
asked-slow = Without scripts in your browser the mail takes some minutes longer.
asked-nothing = Nothing there after ten minutes? Look among the spam, or { $again }.
asked-again = ask again
asked-once = Asked sooner, the mail of the first time is the one that counts.

confirm-heading = Confirm your subscription
confirm-what = { $address } will get what is new on { $newsroom }.
confirm-what-in = { $address } will get what is new in:
confirm-yes = Yes, subscribe me
confirm-not-you = If it was not you who asked, do nothing: without this button no mail will come.
# Part of the record of consent: whoever changes it changes what is agreed to from then on.
consent =
    I want to get these mails at this address. I can stop them at any time, by the link in each of them; 28 days after that my address is erased. It is used for these mails alone and given to nobody.
never-heading = Never ask me again
never-what =
    Nobody will be able to have the address that this link came to asked whether it wants these mails. Only a keyed hash of the address is kept for that.
undo-heading = Take it back
undo-what = { $address } is to get mails from { $newsroom } again.
undo-what-in = { $address } is to get mails again about:
undo-yes = Yes, subscribe me again
leave-heading = Unsubscribe
leave-what = { $address } is to get no more of the mails that this link came with.
leave-yes = Unsubscribe me
leave-less = Or would you rather get less, at another time, or something else?

done-confirmed = You are subscribed
done-undone = You are subscribed again
done-gets = { $address } gets what is new from now on.
done-gets-in = { $address } gets what is new from now on, in:
done-links = Every mail has a link to leave, or to change what you get.
done-never = You will not be asked again
done-never-what = Nobody can have the address that the link came to asked from now on.
done-link-what = A mail with a link to your preferences is on its way to { $address }.
done-left = You are unsubscribed
done-left-what = { $address } gets no more of the mails that the link came with.
done-left-undo =
    { $days ->
        [one] Was it a mistake? A mail with a link to take it back is on its way; it works for { $days } day.
       *[other] Was it a mistake? A mail with a link to take it back is on its way; it works for { $days } days.
    }
erased-heading = Erased
erased-what = Nothing is known of this address here any more, and nothing is mailed to it.

preferences-heading = What you get
preferences-all = All that is mailed to { $address }.
preferences-saved = Saved.
preferences-subscription = Subscription { $number }
preferences-paused = { $what } (paused)
preferences-next = The next mail comes on { $when }.
preferences-query = Or a query, such as { $example }
which-days = On which days? (none ticked: all; once a week: the first)
preferences-save = Save
preferences-resume = Resume
preferences-pause = Pause
preferences-feeds = The same as a feed for your reader alone: { $feeds }.
preferences-new-feed = Has one of these addresses come into other hands?
preferences-new-feed-button = New addresses
preferences-nothing = Nothing at the moment.
preferences-more = Something more
preferences-add = Add
preferences-settings = Time and language
preferences-data = What is known of you
preferences-export = All of it, as a file
preferences-sure = I am sure
preferences-sure-hint = all subscriptions end, and the address and all that is known of it are erased at once
preferences-erase = Erase everything
