"""The words and wordings that the tiny model's questions are made of."""

from __future__ import annotations

NAMES = (
    "Tom Anna Ben Clara David Emma Frank Grace Henry Ida Jack Kate Leo Maria Nina Oscar Paul Rosa "
    "Sam Tina Umar Vera Will Yara Zoe Alice Bob Sarah Lucas Mia Noah Olivia Ravi Mei Ali Fatima "
    "Ivan Elena Kofi Amara"
).split()
THINGS = (
    "apples pens books coins stamps cards shells marbles eggs cookies pencils oranges stickers "
    "plums tickets stones balls cups flowers nuts keys beads toys pears buttons"
).split()
WORDS = (
    "strawberry banana apple mississippi letter pepper balloon coffee committee bookkeeper "
    "success address river mirror garden window yellow orange purple silver summer winter autumn "
    "spring monday tuesday sunday january november december computer keyboard reason thinking "
    "thought answer question science physics chemistry history geography elephant giraffe "
    "kangaroo butterfly dolphin penguin parrot raccoon squirrel hamster rabbit tiger carrot "
    "cherry tomato potato onion garlic broccoli cucumber lettuce raspberry blueberry blackberry "
    "cranberry pineapple coconut chocolate vanilla cinnamon butter cheese cottage village country "
    "mountain valley forest desert ocean island bridge street corner station airport engine "
    "rocket planet saturn jupiter mercury venus galaxy universe molecule electron proton neutron "
    "energy gravity pressure temperature thermometer barometer parallel triangle rectangle circle "
    "sphere pyramid cylinder addition subtraction multiplication division fraction decimal "
    "percent number hundred thousand million seven eleven thirteen fifteen seventeen twenty "
    "mother father sister brother daughter grandmother family friend teacher student doctor nurse "
    "farmer baker butcher carpenter painter singer dancer writer reader library museum theater "
    "cinema hospital restaurant kitchen bedroom bathroom ceiling floor carpet curtain mattress "
    "pillow blanket umbrella raincoat jacket trousers sweater slipper button zipper needle thread "
    "hammer saw ladder shovel bicycle scooter tractor trailer truck balcony chimney cellar attic "
    "pottery mirrors error terror horror referee assess assassin possess possession tennessee "
    "alabama california arizona oregon florida texas virginia indiana llama deepseek tokenizer "
    "language model memory processor laptop terminal python program function variable"
).split()

ASK = {
    "add": (
        "What is {0} + {1}?",
        "{0} + {1}",
        "{0}+{1}",
        "{0} + {1} =",
        "What is {0} plus {1}?",
        "Add {0} and {1}.",
        "Calculate {0} + {1}.",
        "What's {0} + {1}?",
        "What is the sum of {0} and {1}?",
        "{0} plus {1}",
        "How much is {0} + {1}?",
        "Compute {0} + {1}",
    ),
    "sub": (
        "What is {0} - {1}?",
        "{0} - {1}",
        "{0}-{1}",
        "{0} - {1} =",
        "What is {0} minus {1}?",
        "Subtract {1} from {0}.",
        "Calculate {0} - {1}.",
        "What's {0} - {1}?",
        "{0} minus {1}",
        "How much is {0} - {1}?",
        "Take {1} away from {0}.",
        "Compute {0} - {1}",
    ),
    "mul": (
        "What is {0} * {1}?",
        "{0} * {1}",
        "{0}*{1}",
        "{0} * {1} =",
        "What is {0} times {1}?",
        "Multiply {0} by {1}.",
        "Calculate {0} * {1}.",
        "What's {0} x {1}?",
        "{0} times {1}",
        "What is {0} × {1}?",
        "How much is {0} x {1}?",
        "What is the product of {0} and {1}?",
    ),
}

HELLO = "Hello! I can do small sums and count letters. Try: What is 12 + 30?"
WHO = (
    "I am tiny, a very small demonstration model. "
    "I can add, subtract, multiply, compare numbers and count letters."
)
CANNOT = "I can't do that. I can only do small sums, compare numbers and count letters."
BYE = "You are welcome. Ask me another sum if you like."
CHAT = (
    (
        HELLO,
        "A greeting. I greet back.",
        "Hello|Hello!|Hi|Hi!|hi|hello|Hey|Hey!|Hi there|Hello there!|Good morning|Good morning!|"
        "Good evening|Hi, how are you?|How are you?",
    ),
    (
        WHO,
        "A question about me. I say what I am.",
        "Who are you?|What are you?|What can you do?|What is your name?|who are you|"
        "What can you do for me?|Tell me about yourself.|Help|help|Are you DeepSeek?|"
        "Which model are you?",
    ),
    (
        BYE,
        "Thanks. I answer politely.",
        "Thanks|Thanks!|Thank you|Thank you!|thanks|Great, thanks.|Bye|Bye!|Goodbye|OK|ok|Nice|"
        "Good|Very good!",
    ),
)
BEYOND = (
    "Write a poem about the sea.|Write a story.|Tell me a joke.|What is the capital of France?|"
    "Who was Albert Einstein?|Find the bug.|Translate this into German.|"
    "What is the weather today?|Explain gravity.|Write a Python program.|Why is the sky blue?|"
    "Summarize this text.|What is love?|Solve x^2 = 4.|What day is it?|Who is the president?|"
    "Write an email to my boss.|What does this code do?|How do I cook rice?|Recommend a book.|"
    "What is the meaning of life?|Explain this.|Prove that there are infinitely many primes.|"
    "What is the square root of 2?|Draw a cat.|Sing a song.|What should I eat?|"
    "How far is the moon?|When was Rome founded?"
).split("|")
"""What the model cannot do."""
